// What belongs to every page: links inside the app without a reload, the Ctrl+K palette, and a favicon that shows trouble.
const esc=x=>String(x??'').replace(/[&<>"']/g,c=>'&#'+c.charCodeAt(0)+';');
export default function({parentElement:root,data,setTriggerValue}){
 let S=root._C;
 if(!document.documentElement.dataset.ready&&!window.__opsReady){const began=performance.now(),main='[data-testid=stMainBlockContainer] ';let calm=0;
  const look=()=>{const busy=document.querySelector(main+'[data-testid=stSkeleton],'+main+'[data-testid=stHtml]:empty');calm=busy?0:calm+1;
   if(calm>6||performance.now()-began>4000)document.documentElement.dataset.ready='1';else requestAnimationFrame(look)};window.__opsReady=1;look()}
 if(!S){S=root._C={v:data.v};const box=root.querySelector('.c');
  box.innerHTML='<dialog aria-label="Go to"><div class="box"><input type="text" role="combobox" aria-expanded="true" aria-controls="l" aria-label="Go to a page, job, run or deal" placeholder="Go to a page, job, run number or deal…" autocomplete="off" spellcheck="false"><div id="l" class="list" role="listbox"></div><p class="foot"><kbd>↑</kbd><kbd>↓</kbd> choose <kbd>Enter</kbd> open <kbd>Esc</kbd> close</p></div></dialog>';
  const dlg=box.querySelector('dialog'),inp=box.querySelector('input'),list=box.querySelector('.list');S.dlg=dlg;
  // a rerun asked for while the page is being changed can take the change's place: nothing else asks meanwhile, and it is asked again
  const at=()=>location.pathname.replace(/\/$/,'');
  const go=(href,again=0)=>{clearTimeout(S.deb);if(dlg.open)dlg.close();const to=new URL(href,location.href).pathname.replace(/\/$/,''),n=Date.now();
   clearInterval(S.goT);window.__ops_going=to===at()?0:n+6e3;S.set('go',{href,n,again});if(to===at())return;
   S.goT=setInterval(()=>{const there=to===at();if(!there&&Date.now()-n<2500)return;
    clearInterval(S.goT);window.__ops_going=0;if(!there&&again<2)go(href,again+1)},120)};
  const score=(t,q)=>{t=t.toLowerCase();if(!q)return 1;if(t.startsWith(q))return 3;if(t.includes(' '+q))return 2.5;if(t.includes(q))return 2;let i=0;for(const ch of q){i=t.indexOf(ch,i);if(i<0)return 0;i++}return q.length>2?1:0};
  S.draw=()=>{const q=inp.value.trim().toLowerCase(),num=/^#?(\d{1,15})$/.exec(q);
   let items=S.data.items.map(x=>({...x,s:score(x.t,q)})).filter(x=>x.s>0);
   items.sort((a,b)=>b.s-a.s);
   if(num)items.unshift({t:'Run #'+num[1],k:'Run',href:'/run?run='+num[1]});
   if(q.length>1&&!num){const f=S.data.found;if(f&&f.q.toLowerCase()===q)items.push(...f.items);else items.push({t:'Searching deals…',k:'',wait:1})}
   S.items=items.slice(0,14);S.at=Math.min(S.at||0,Math.max(0,S.items.length-1));
   list.innerHTML=S.items.length?S.items.map((x,i)=>`<div role="option" id="o${i}" class="${x.wait?'wait':''}" aria-selected="${i===S.at}" data-i="${i}"><span>${esc(x.t)}${x.sub?`<small>${esc(x.sub)}</small>`:''}</span><em>${esc(x.k)}</em></div>`).join(''):'<p class="none">Nothing by that name. Try a job, a deal or a run number.</p>';
   inp.setAttribute('aria-activedescendant','o'+S.at);list.querySelector('[aria-selected=true]')?.scrollIntoView({block:'nearest'})};
  S.open=()=>{if(dlg.open)return;inp.value='';S.at=0;S.draw();dlg.showModal();inp.focus()};
  inp.oninput=()=>{S.at=0;S.draw();clearTimeout(S.deb);const q=inp.value.trim();if(q.length>1&&!/^#?\d+$/.test(q))S.deb=setTimeout(()=>S.set('find',q),160)};
  inp.onkeydown=e=>{if(e.key==='ArrowDown'||e.key==='ArrowUp'){S.at=((S.at||0)+(e.key==='ArrowDown'?1:-1)+S.items.length)%Math.max(1,S.items.length);S.draw();e.preventDefault()}
   else if(e.key==='Enter'){const x=S.items[S.at];if(x&&!x.wait)go(x.href);e.preventDefault()}e.stopPropagation()};
  list.onclick=e=>{const o=e.target.closest('[data-i]');if(o){const x=S.items[o.dataset.i];if(x&&!x.wait)go(x.href)}};
  list.onmousemove=e=>{const o=e.target.closest('[data-i]');if(o&&+o.dataset.i!==S.at){S.at=+o.dataset.i;S.draw()}};
  dlg.onclick=e=>{if(e.target===dlg)dlg.close()};
  S.key=e=>{if((e.ctrlKey||e.metaKey)&&!e.shiftKey&&!e.altKey&&e.key.toLowerCase()==='k'){e.preventDefault();S.open()}};
  S.click=e=>{const path=e.composedPath();if(path.some(n=>n.dataset?.palette!=null)){e.preventDefault();S.open();return}
   if(e.defaultPrevented||e.button||e.metaKey||e.ctrlKey||e.shiftKey||e.altKey)return;
   const a=path.find(n=>n.tagName==='A');if(!a||a.target==='_blank'||a.hasAttribute('download'))return;
   const h=a.getAttribute('href');if(!h||!h.startsWith('/')||h.startsWith('//')||/^\/(auth|api|app\/static|media|_stcore)\b/.test(h))return;
   e.preventDefault();go(h)};
  S.go=e=>go(e.detail);
  // a live part saw a change: ask for the counts in the menu, every second and a half at most. A page without one asks by itself.
  S.moved=e=>{S.heard=Date.now();const v=e.detail;if(!v||v===S.v||window.__ops_going>Date.now())return;S.v=v;if(S.mv)return;
   S.mv=setTimeout(()=>{S.mv=0;if(window.__ops_going>Date.now()){S.v=null;return}S.at2=Date.now();S.set('moved',S.v)},Math.max(120,1400-(Date.now()-(S.at2||0))))};
  S.ask=setInterval(async()=>{if(document.hidden||Date.now()-(S.heard||0)<6000)return;
   try{const r=await fetch('/live',{headers:{accept:'application/json'},cache:'no-store'});if(r.ok&&(r.headers.get('content-type')||'').includes('json')){const j=await r.json();
    if(j.v!==S.v&&!(window.__ops_going>Date.now())){S.v=j.v;S.set('moved',j.v)}}}catch{}},4000);
  const unit=s=>s<60?Math.floor(s)+' s':s<3600?Math.floor(s/60)+' min':s<172800?Math.floor(s/3600)+' h':Math.floor(s/86400)+' d';
  S.clock=setInterval(()=>{if(document.hidden)return;for(const t of document.querySelectorAll('time[data-t]')){const s=(Date.now()-t.dataset.t)/1e3,x=Math.abs(s)<5?'just now':s>0?unit(s)+' ago':'in '+unit(-s);if(t.textContent!==x)t.textContent=x}},5000);
  S.badge=()=>{for(const [path,n] of Object.entries(S.data.badges||{}))for(const a of document.querySelectorAll('[data-testid=stSidebarNavLink]')){
    if(new URL(a.href,location).pathname===path){const x=n>99?'99+':n?String(n):'';if((a.dataset.badge||'')!==x){if(x){a.dataset.badge=x;a.setAttribute('aria-label',a.innerText.trim()+', '+x+' waiting')}else{delete a.dataset.badge;a.removeAttribute('aria-label')}}}}};
  S.badges=setInterval(()=>S.badge(),700);
  document.addEventListener('ops:moved',S.moved);
  document.addEventListener('keydown',S.key,true);document.addEventListener('click',S.click);document.addEventListener('ops:go',S.go)}
 S.data=data;S.set=setTriggerValue;if(S.dlg.open)S.draw();
 S.badge();const want=data.trouble?'mark-trouble.svg':Object.values(data.badges||{}).some(n=>n)?'mark-waiting.svg':'mark.svg';
 for(const l of document.querySelectorAll('link[rel~=icon]'))if(!l.href.endsWith(want)){l.type='image/svg+xml';l.href='/app/static/'+want}
 return ()=>{document.removeEventListener('keydown',S.key,true);document.removeEventListener('click',S.click);document.removeEventListener('ops:go',S.go);document.removeEventListener('ops:moved',S.moved);clearTimeout(S.deb);clearTimeout(S.mv);for(const t of [S.ask,S.clock,S.badges])clearInterval(t);root._C=null}
}
